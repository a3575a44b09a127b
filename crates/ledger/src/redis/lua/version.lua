-- The version of the list of queues never repeats, not even when the store lost it: it is at least
-- the time.
local function bump(key)
  local version = math.max(tonumber(redis.call('GET', key) or 0) + 1, now_millis)
  version = string.format('%.0f', version)
  redis.call('SET', key, version)
  return version
end

-- Beside it stands in which version each queue changed, gone ones included. The nameless member's
-- version is the oldest whose successors are all known; who holds an older one reads the whole list.
local changes_max = 5000
local function note(changes, names, version)
  for _, name in ipairs(names) do redis.call('ZADD', changes, version, name) end
  if redis.call('ZCARD', changes) > changes_max then
    local last = changes_max / 2
    local forgotten = redis.call('ZRANGE', changes, last, last, 'WITHSCORES')
    redis.call('ZREMRANGEBYRANK', changes, 0, last)
    redis.call('ZADD', changes, forgotten[2], '')
  end
end

-- Nothing that was known before is good enough: everybody reads the whole list.
local function forget(changes, version)
  redis.call('DEL', changes)
  redis.call('ZADD', changes, version, '')
end

