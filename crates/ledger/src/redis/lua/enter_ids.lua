-- Remembers which message has which id; told again, the newest holds. KEYS: the window's counter, then a
-- shard for each entry. ARGV: lifetime in milliseconds; then for each entry the id's name (6 bytes) and
-- the message.
local new = 0
for i = 2, #KEYS do
  if redis.call('HSET', KEYS[i], string.sub(ARGV[i], 1, 6), string.sub(ARGV[i], 7)) == 1 then
    new = new + 1
    if redis.call('HLEN', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
  end
end
local total = redis.call('INCRBY', KEYS[1], new)
if total == new then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return total
