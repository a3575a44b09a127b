-- Enters rows that are not there yet. KEYS: the batch, buckets. ARGV: the highest row; then for each
-- bucket the field, state, masked number and code of each row.
local QUEUED, CANCELLED = 0, 18
local head = redis.call('HMGET', KEYS[1], 'recipients', 'lifetime', 'cancelled')
if not head[1] then return 'unknown' end
if tonumber(ARGV[1]) >= tonumber(head[1]) then return 'range' end

local entered = {}
for bucket = 2, #KEYS do
  local packed, at = ARGV[bucket], 1
  local fields, values = {}, {}
  while at <= #packed do
    local field, state, to, code, rest = struct.unpack('>BBc7Bc0', packed, at)
    at = rest
    if state == QUEUED and head[3] then state = CANCELLED end
    fields[#fields + 1] = field
    values[#values + 1] = { state,
      struct.pack('>BBBI4I4I5I5c7B', state + 32, 0, 0, 0, 0, 0, 0, to, #code) .. code }
  end
  local known = redis.call('HMGET', KEYS[bucket], unpack(fields))
  local new, taken = {}, {}
  for i, field in ipairs(fields) do
    if not known[i] and not taken[field] then
      taken[field] = true
      local state, bytes = values[i][1], values[i][2]
      entered[state] = (entered[state] or 0) + 1
      new[#new + 1] = field
      new[#new + 1] = bytes
    end
  end
  if #new > 0 then
    local is_first = redis.call('EXISTS', KEYS[bucket]) == 0
    redis.call('HSET', KEYS[bucket], unpack(new))
    if is_first then redis.call('PEXPIRE', KEYS[bucket], head[2]) end
  end
end
for state, n in pairs(entered) do redis.call('HINCRBY', KEYS[1], 'n' .. state, n) end
return 'ok'
