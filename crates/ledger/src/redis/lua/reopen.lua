-- Lets rows that were given up after their last attempt wait for a first one again. ARGV: now; then
-- bucket and rows of each group.
local FAILED, GIVEN_UP = 8, 'attempts_exhausted'
local now = offset(ARGV[1])

local function reopen(row)
  local given_up = row.state == FAILED and string.sub(row.code, 1, #GIVEN_UP) == GIVEN_UP
  if not given_up then return 'U', true end
  row.attempt, row.connection, row.claimed = 0, 0, 0
  row.parts_told, row.parts = false, nil
  move(row, cancelled and CANCELLED or QUEUED, '', now)
  return 'C', true
end

for i = 2, #ARGV do
  each(bucket(struct.unpack('>H', ARGV[i])), string.sub(ARGV[i], 3), 0, '', reopen)
end
return finish()
