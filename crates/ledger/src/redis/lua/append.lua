-- Appends to an index. KEYS: the window's counter, then shards. ARGV: lifetime in milliseconds, how
-- many entries there are; then a line for each shard.
for i = 2, #KEYS do
  local line = ARGV[i + 1]
  if redis.call('APPEND', KEYS[i], line) == #line then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
end
local total = redis.call('INCRBY', KEYS[1], ARGV[2])
if total == tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return total
