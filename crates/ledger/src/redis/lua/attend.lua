-- A worker is there. KEYS: workers by the end of their lease. ARGV: its name, milliseconds. Answers
-- who is there.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_millis)
redis.call('ZADD', KEYS[1], string.format('%.0f', now_millis + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))))
return redis.call('ZRANGE', KEYS[1], 0, -1)
