-- ARGV: now; then what is said about each group of rows. A small letter says that the row learned its
-- provider id.
local now = offset(ARGV[1])

local function merge(row, state, code, id)
  return says_something(state) and join(row, state, code, id, now)
end

local function merge_part(row, said, id)
  local is_delivered = said.what == DELIVERED
  -- The last part to be delivered must not decide what the whole message says.
  local code = is_delivered and '' or said.code
  local is_only_one = said.parts == 1 or (said.parts == 0 and row.parts_told and not row.parts)
  if is_only_one or row.state == DELIVERED then return merge(row, said.what, code, id) end
  -- A part's id is not the message's.
  if #said.name ~= 1 then id = '' end
  if not is_delivered then return merge(row, said.what, code, id) end
  local parts = parts_of(row)
  parts.reported = math.max(parts.reported, said.parts)
  deliver(parts, said.name)
  local moved = join(row, SENT, code, id, now)
  return conclude(row, now) or moved
end

local function step(row, said, id)
  if (row.state == QUEUED and row.attempt == 0) or rank(row.state) == NEVER_HANDED_OVER then
    return 'N', true
  end
  local known, moved = row.id, nil
  if said.name == '' then
    moved = merge(row, said.what, said.code, id)
  else
    moved = merge_part(row, said, id)
  end
  local letter = moved and 'C' or 'U'
  return row.id == known and letter or string.lower(letter), true
end

for i = 2, #ARGV do each_said(ARGV[i], step) end
return finish()
