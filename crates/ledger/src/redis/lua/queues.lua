-- KEYS: entries, their ends, version, states. ARGV: the version that the caller holds, or nothing.
-- Answers nothing to who holds the latest; else version, entries, ends, states.
local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_millis, 'LIMIT', 0, 1000)
if #ended > 0 then
  redis.call('HDEL', KEYS[1], unpack(ended))
  redis.call('ZREM', KEYS[2], unpack(ended))
  bump(KEYS[3])
end
local version = redis.call('GET', KEYS[3]) or '0'
if version == ARGV[1] then return {} end
return {
  { version },
  redis.call('HGETALL', KEYS[1]),
  redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[4]),
}
