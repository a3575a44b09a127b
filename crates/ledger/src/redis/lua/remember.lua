-- Remembers who was texted; the newest holds. KEYS: the window's counter, then a shard for each entry.
-- ARGV: lifetime in milliseconds; then for each entry number and sender (11 bytes), message (17 bytes).
local new = 0
for i = 2, #KEYS do
  local pair, told = string.sub(ARGV[i], 1, 11), string.sub(ARGV[i], 12)
  if redis.call('HSETNX', KEYS[i], pair, told) == 1 then
    new = new + 1
    if redis.call('HLEN', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
  elseif outranks_bytes(told, redis.call('HGET', KEYS[i], pair)) then
    redis.call('HSET', KEYS[i], pair, told)
  end
end
local total = redis.call('INCRBY', KEYS[1], new)
if total == new then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return total
