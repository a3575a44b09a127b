-- Keeps a part of an inbound message. KEYS: the message. ARGV: number, total, name, body, '1' if it has
-- waited for the others, lifetime in milliseconds. Fields: <n> the body and n<n> the name of part n,
-- `last` the part that arrived last, `by` the name of the part that the message was given to.
local number, total, name, body, has_waited = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5] == '1'

local function parts()
  local answer = { 'ready' }
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    if tonumber(fields[i]) then
      answer[#answer + 1] = fields[i]
      answer[#answer + 1] = fields[i + 1]
    end
  end
  return answer
end

local by, known = unpack(redis.call('HMGET', KEYS[1], 'by', 'n' .. number))
if by then
  if by == name then return parts() end
  if known == name then return { 'elsewhere' } end
  -- Without that part: it is late. With it, under another name: another message of that reference.
  if not known then return { 'late' } end
  redis.call('DEL', KEYS[1])
  known = false
elseif known and known ~= name then
  return { 'late' }
end
if not known then
  redis.call('HSET', KEYS[1], number, body, 'n' .. number, name, 'last', number)
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
local is_last = redis.call('HGET', KEYS[1], 'last') == number
if (redis.call('HLEN', KEYS[1]) - 1) / 2 >= total or (has_waited and is_last) then
  redis.call('HSET', KEYS[1], 'by', name)
  return parts()
end
return { has_waited and 'elsewhere' or 'waits' }
