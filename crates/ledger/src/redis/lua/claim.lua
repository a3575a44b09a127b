-- ARGV: token, attempt, connection, now, interrupted after, redelivered; then bucket and rows of each group.
local token, attempt = ARGV[1], tonumber(ARGV[2])
local now, interrupted_after, redelivered = offset(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'

-- The connection's position in the batch's list; 0 behind the 255th, which nobody reaches.
local connection, position = connections == ARGV[3] .. '\n' and 1 or 0, 0
if connection == 0 then
  for id in string.gmatch(connections, '[^\n]+') do
    position = position + 1
    if id == ARGV[3] then connection = position end
  end
end
if connection == 0 then
  connections = connections .. ARGV[3] .. '\n'
  connection = position + 1
  redis.call('HSET', KEYS[1], 'connections', connections)
end
if connection > 255 then connection = 0 end

local function claim(row)
  if row.state == QUEUED and row.attempt + 1 == attempt then
    row.attempt, row.token, row.connection, row.claimed = attempt, token, connection, now
    move(row, SENDING, '', now)
    return 'F', false
  end
  if row.state ~= SENDING then return 'S', true end
  if row.attempt == attempt and row.token == token then return 'F', false end
  -- A later attempt runs: this copy of the chunk is a leftover, and says nothing about it.
  if row.attempt > attempt then return 'S', true end
  local age = now - math.max(row.claimed, 1)
  if (redelivered and row.attempt == attempt) or age > interrupted_after then
    move(row, IN_DOUBT, 'interrupted', now)
    return 'I', true
  end
  return 'B', false
end

for i = 7, #ARGV do
  each(bucket(struct.unpack('>H', ARGV[i])), string.sub(ARGV[i], 3), 0, '', claim)
end
return finish()
