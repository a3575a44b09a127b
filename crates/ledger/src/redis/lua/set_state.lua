-- Sets a distribution's state unless it is cancelled. KEYS: the distribution. ARGV: state. Answers the
-- state that holds and how long the distribution is kept.
local known = redis.call('HGET', KEYS[1], 'state')
if not known then return {} end
if known ~= 'cancelled' then
  known = ARGV[1]
  redis.call('HSET', KEYS[1], 'state', known)
end
return { known, tostring(redis.call('PTTL', KEYS[1])) }
