-- Withdraws the waiting rows of some buckets, and those that would wait later. ARGV: now. Answers for
-- each bucket its place in KEYS and the rows, then what became of them: C for those that are withdrawn.
local now = offset(ARGV[1])
if not cancelled then redis.call('HSET', KEYS[1], 'cancelled', '1') end

local function cancel(row)
  if row.state == QUEUED then move(row, CANCELLED, '', now) end
  local told = row.state == CANCELLED
  return told and 'C' or 'F', told
end

for i = 2, #KEYS do
  local b = bucket(i)
  local rows, waits = {}, { [ENTERED] = true }
  for id, run in pairs(b.runs) do
    local state = read(run.entry).state
    waits[id] = state == QUEUED or state == CANCELLED
  end
  for field = 0, #b.column - 1 do
    if waits[string.byte(b.column, field + 1)] then rows[#rows + 1] = field end
  end
  for _, field in ipairs(redis.call('HKEYS', b.key)) do rows[#rows + 1] = tonumber(field) end
  if #rows > 0 then
    table.sort(rows)
    rows = string.char(unpack(rows))
    answers[#answers + 1] = struct.pack('>H', i) .. rows
    each(b, rows, 0, '', cancel)
  end
end
return finish()
