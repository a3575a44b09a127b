-- ARGV: now; then what is said about the rows of each bucket. A small letter says that the row learned
-- its provider id.
local now = offset(ARGV[1])

local function merge(row, state, code, id)
  return says_something(state) and join(row, state, code, id, now)
end

local function merge_part(row, said)
  local is_delivered = said.what == DELIVERED
  -- The last part to be delivered must not decide what the whole message says.
  local code = is_delivered and '' or said.code
  local is_only_one = said.parts == 1 or (said.parts == 0 and row.parts_told and not row.parts)
  if is_only_one or row.state == DELIVERED then return merge(row, said.what, code, said.id) end
  -- A part's id is not the message's.
  local id = #said.name == 1 and said.id or ''
  if not is_delivered then return merge(row, said.what, code, id) end
  local parts = parts_of(row)
  parts.reported = math.max(parts.reported, said.parts)
  deliver(parts, said.name)
  local moved = join(row, SENT, code, id, now)
  return conclude(row, now) or moved
end

local function step(row, said)
  if (row.state == QUEUED and row.attempt == 0) or RANK[row.state] == NEVER_HANDED_OVER then
    return 'N'
  end
  local id, moved = row.id, nil
  if said.name == '' then
    moved = merge(row, said.what, said.code, said.id)
  else
    moved = merge_part(row, said)
  end
  local letter = moved and 'C' or 'U'
  return row.id == id and letter or string.lower(letter)
end

for bucket = 2, #KEYS do
  local fields, list = said(ARGV[bucket])
  each(KEYS[bucket], fields, function(i, row) return step(row, list[i]), true end)
end
return finish()
