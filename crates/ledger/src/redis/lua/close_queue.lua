-- KEYS: entries, their ends, version, weights, changes. ARGV: name.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
note(KEYS[5], { ARGV[1] }, bump(KEYS[3]))
return 1
