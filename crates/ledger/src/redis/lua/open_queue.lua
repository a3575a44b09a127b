-- KEYS: entries, their ends, version. ARGV: name, entry as JSON, end in milliseconds. A batch that
-- expires sooner does not shorten the lease of the ones before it.
local till = tonumber(ARGV[3])
local known_till = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
if known_till >= till and redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', math.max(till, known_till)), ARGV[1])
bump(KEYS[3])
return 1
