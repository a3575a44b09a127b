-- Enters rows that are not there yet. KEYS: the batch, buckets. ARGV: the highest row; then for each
-- bucket a column with 1 for each good row, their masked numbers, and field, state, masked number and
-- code of each other one.
local QUEUED, CANCELLED = 0, 18
local names = { 'recipients', 'cancelled' }
for i = 2, #KEYS do
  local number = string.match(KEYS[i], ':(%d+)$')
  names[2 * i - 1], names[2 * i] = 's' .. number, 't' .. number
end
local head = redis.call('HMGET', KEYS[1], unpack(names))
if not head[1] then return 'unknown' end
if tonumber(ARGV[1]) >= tonumber(head[1]) then return 'range' end

local entered, set = {}, {}
local function count(state, n) entered[state] = (entered[state] or 0) + n end

for i = 2, #KEYS do
  local good, at = struct.unpack('>Bc0', ARGV[i])
  local numbers = string.sub(ARGV[i], at, at + 7 * #good - 1)
  at = at + #numbers
  local stored, known_numbers = head[2 * i - 1], head[2 * i] or ''
  local column, runs = '', ''
  if stored then
    column = string.sub(stored, 2, 1 + string.byte(stored))
    runs = string.sub(stored, 2 + #column)
  end

  -- Of these fields, those that nothing is known of yet.
  local function unknown(fields)
    local asked = {}
    for _, field in ipairs(fields) do
      if (string.byte(column, field + 1) or 0) == 0 then asked[#asked + 1] = field end
    end
    if #asked == 0 then return {} end
    local values, new = redis.call('HMGET', KEYS[i], unpack(asked)), {}
    for at, field in ipairs(asked) do
      if not values[at] then new[field] = true end
    end
    return new
  end

  local fields, entries = {}, {}
  local function enter(field, state, to, code)
    fields[#fields + 1] = field
    entries[#entries + 1] = { state,
      struct.pack('>BBBI4I4I5I5c7B', state + 32, 0, 0, 0, 0, 0, 0, to, #code) .. code }
  end

  if #good > 0 then
    if head[2] then
      -- In a cancelled batch nothing waits.
      for field = 0, #good - 1 do
        if string.byte(good, field + 1) == 1 then
          enter(field, CANCELLED, string.sub(numbers, 7 * field + 1, 7 * field + 7), '')
        end
      end
    elseif not stored and redis.call('EXISTS', KEYS[i]) == 0 then
      column, known_numbers = good, numbers
      count(QUEUED, select(2, string.gsub(good, '\1', '')))
    else
      local new = {}
      for field = 0, #good - 1 do
        if string.byte(good, field + 1) == 1 then new[#new + 1] = field end
      end
      new = unknown(new)
      local bytes, kept = {}, {}
      for field = 0, math.max(#good, #column) - 1 do
        bytes[field + 1] = new[field] and 1 or string.byte(column, field + 1) or 0
        local from = new[field] and numbers or known_numbers
        local number = string.sub(from, 7 * field + 1, 7 * field + 7)
        kept[field + 1] = number ~= '' and number or string.rep('\0', 7)
        if new[field] then count(QUEUED, 1) end
      end
      column, known_numbers = string.char(unpack(bytes)), table.concat(kept)
    end
    if string.find(column, '[^%z]') then
      set[#set + 1] = names[2 * i - 1]
      set[#set + 1] = string.char(#column) .. column .. runs
      set[#set + 1] = names[2 * i]
      set[#set + 1] = known_numbers
    end
  end

  while at <= #ARGV[i] do
    local field, state, to, code
    field, state, to, code, at = struct.unpack('>BBc7Bc0', ARGV[i], at)
    enter(field, state, to, code)
  end
  local new, values = unknown(fields), {}
  for at, field in ipairs(fields) do
    if new[field] then
      values[#values + 1] = field
      values[#values + 1] = entries[at][2]
      count(entries[at][1], 1)
    end
  end
  if #values > 0 then
    local is_first = redis.call('EXISTS', KEYS[i]) == 0
    redis.call('HSET', KEYS[i], unpack(values))
    local millis = is_first and redis.call('PTTL', KEYS[1]) or 0
    if millis > 0 then redis.call('PEXPIRE', KEYS[i], string.format('%.0f', millis)) end
  end
end
if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
for state, n in pairs(entered) do redis.call('HINCRBY', KEYS[1], 'n' .. state, n) end
return 'ok'
