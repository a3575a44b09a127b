-- What a settle and a merge do to what is known of a row's parts.
local NAMES_MAX = 60

local function parts_of(row)
  row.parts = row.parts or { reported = 0, settled = 0, numbers = '', ids = '' }
  touch(row)
  return row.parts
end

-- A part is delivered. Its name is one byte for a number, four for an id.
local function deliver(parts, name)
  local list = #name == 1 and 'numbers' or 'ids'
  local known = parts[list]
  if #known >= NAMES_MAX * #name then return end
  for at = 1, #known, #name do
    if string.sub(known, at, at + #name - 1) == name then return end
  end
  parts[list] = known .. name
end

-- Whoever sent the message says how many parts it has; whether that moved the row.
local function tell_parts(row, parts, now)
  if rank(row.state) == NEVER_HANDED_OVER then return false end
  if not row.parts_told then
    row.parts_told = true
    touch(row)
  end
  if row.state == DELIVERED or (parts <= 1 and not row.parts) then return false end
  local known = parts_of(row)
  known.settled = math.max(known.settled, parts, 1)
  return conclude(row, now)
end
