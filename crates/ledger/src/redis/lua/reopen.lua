-- Lets rows that were given up after their last attempt wait for a first one again. ARGV: now; then
-- the rows of each bucket.
local FAILED, GIVEN_UP = 8, 'attempts_exhausted'
local now = offset(ARGV[1])

local function reopen(_, row)
  local given_up = row.state == FAILED and string.sub(row.code, 1, #GIVEN_UP) == GIVEN_UP
  if not given_up then return 'U', true end
  row.attempt, row.connection, row.claimed = 0, 0, 0
  row.parts_told, row.parts = false, nil
  move(row, cancelled and CANCELLED or QUEUED, '', now)
  return 'C', true
end

for bucket = 2, #KEYS do
  each(KEYS[bucket], { string.byte(ARGV[bucket], 1, -1) }, reopen)
end
return finish()
