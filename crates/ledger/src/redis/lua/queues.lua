-- KEYS: entries, their ends, version, states, weights, changes. ARGV: the version that the caller
-- holds, or nothing. Answers nothing to who holds the latest; else version, entries, ends, states,
-- weights, and, to who need not read the whole list, the names of the queues that are gone.
local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_millis, 'LIMIT', 0, 1000)
if #ended > 0 then
  redis.call('HDEL', KEYS[1], unpack(ended))
  redis.call('ZREM', KEYS[2], unpack(ended))
  redis.call('HDEL', KEYS[5], unpack(ended))
  note(KEYS[6], ended, bump(KEYS[3]))
end
local version = redis.call('GET', KEYS[3]) or '0'
if version == ARGV[1] then return {} end
local states = redis.call('HGETALL', KEYS[4])
local floor = redis.call('ZSCORE', KEYS[6], '')
if not floor then forget(KEYS[6], version) end
local known = tonumber(ARGV[1])
if floor and known and known >= tonumber(floor) and known < tonumber(version) then
  local entries, ends, weights, gone = {}, {}, {}, {}
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '(' .. ARGV[1], '+inf')) do
    local entry = redis.call('HGET', KEYS[1], name)
    if entry then
      entries[#entries + 1], entries[#entries + 2] = name, entry
      ends[#ends + 1], ends[#ends + 2] = name, redis.call('ZSCORE', KEYS[2], name)
      local weight = redis.call('HGET', KEYS[5], name)
      if weight then weights[#weights + 1], weights[#weights + 2] = name, weight end
    else
      gone[#gone + 1] = name
    end
  end
  return { { version }, entries, ends, states, weights, gone }
end
return {
  { version },
  redis.call('HGETALL', KEYS[1]),
  redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
  states,
  redis.call('HGETALL', KEYS[5]),
}
