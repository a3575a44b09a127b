-- Tells the fleet a distribution's state. KEYS: states, version, changes. ARGV: distribution, state,
-- kept for milliseconds. Stored as "<state> <until>"; active ones need no entry.
local listed = redis.call('HGETALL', KEYS[1])
local known = 'active'
for i = 1, #listed, 2 do
  local state, till = string.match(listed[i + 1], '^(%a+) (%d+)$')
  if listed[i] == ARGV[1] then
    known = state
  elseif tonumber(till) <= now_millis then
    redis.call('HDEL', KEYS[1], listed[i])
  end
end
if known == ARGV[2] then return 0 end
if ARGV[2] == 'active' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  local till = now_millis + math.max(tonumber(ARGV[3]), 0)
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. string.format(' %.0f', till))
end
forget(KEYS[3], bump(KEYS[2]))
return 1
