-- The version of the list of queues never repeats, not even when the store lost it: it is at least
-- the time.
local function bump(key)
  local version = math.max(tonumber(redis.call('GET', key) or 0) + 1, now_millis)
  redis.call('SET', key, string.format('%.0f', version))
end

