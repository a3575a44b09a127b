-- `gcra.rs` once more. KEYS: the cell. ARGV: per second, burst, want. Answers tokens and microseconds
-- to wait.
local cell = redis.call('HMGET', KEYS[1], 'due', 'held')
local interval = 1000000 / tonumber(ARGV[1])
local tolerance = interval * math.max(tonumber(ARGV[2]), 1)
local due = math.max(tonumber(cell[1] or 0), now_micros)
local held = tonumber(cell[2] or 0)
if held > 0 then
  -- When the hold ends there is one token, not a burst: the provider has just said 429.
  due = math.max(due, held + tolerance - interval)
end
local available = math.max(math.floor((now_micros + tolerance - due) / interval + 0.001), 0)
local tokens = math.min(available, tonumber(ARGV[3]))
if tokens > 0 then
  due = math.ceil(due + tokens * interval)
  redis.call('HSET', KEYS[1], 'due', string.format('%.0f', due))
  -- A cell that nobody asks for any more says nothing new once its hold and its debt are over.
  local busy_micros = math.max(due, held + tolerance) - now_micros
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(busy_micros / 1000) + 1000))
  return { tokens, 0 }
end
return { 0, math.max(math.ceil(due + interval - tolerance - now_micros), 1) }
