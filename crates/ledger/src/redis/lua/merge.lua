-- ARGV: now; then what is said about the rows of each bucket.
local now = offset(ARGV[1])

local function merge(row, state, code, id)
  if (row.state == QUEUED and row.attempt == 0) or RANK[row.state] == NEVER_HANDED_OVER then
    return 'N'
  end
  local is_news = RANK[state] > RANK[SENDING] and RANK[state] < NEVER_HANDED_OVER
  return is_news and join(row, state, code, id, now) and 'C' or 'U'
end

for bucket = 2, #KEYS do
  local fields, list = said(ARGV[bucket])
  each(KEYS[bucket], fields, function(i, row)
    return merge(row, list[i].what, list[i].code, list[i].id), true
  end)
end
return finish()
