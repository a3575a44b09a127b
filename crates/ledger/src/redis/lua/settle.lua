-- ARGV: token, now; then what is said about each group of rows.
local RETRY, RELEASE = 254, 255
local token, now = ARGV[1], offset(ARGV[2])

local function settle(row, outcome, code, id)
  local is_owner = row.token == token
  local holds_claim = is_owner and row.state == SENDING
  if outcome == RETRY or outcome == RELEASE then
    if not holds_claim then return false end
    if outcome == RELEASE then
      row.attempt = math.max(row.attempt - 1, 0)
      if row.attempt == 0 then row.connection, row.claimed = 0, 0 end
    end
    -- In a cancelled batch nothing waits for another attempt.
    move(row, cancelled and CANCELLED or QUEUED, code, now)
    return true
  end
  if outcome == QUEUED or outcome == SENDING then return false end
  if holds_claim then
    if id ~= '' then row.id = id end
    move(row, outcome, code, now)
    return true
  end
  if rank(outcome) == NEVER_HANDED_OVER then
    -- That no request left is known to the owner only, and only against a mere doubt.
    local better_known = is_owner and row.state == IN_DOUBT
    if better_known then move(row, outcome, code, now) end
    return better_known
  end
  return join(row, outcome, code, id, now)
end

local function step(row, what, id)
  local moved = settle(row, what.what, what.code, id)
  -- Behind the state, because it may be the last thing that was missing.
  local is_state = what.what < RETRY and says_something(what.what)
  local concluded = is_state and tell_parts(row, what.parts, now)
  return (moved or concluded) and 'C' or 'U', true
end

for i = 3, #ARGV do each_said(ARGV[i], step) end
return finish()
