-- KEYS: entries, their ends, version. ARGV: name.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
bump(KEYS[3])
return 1
