-- KEYS: the set of those who are out, the shard of standings, of standings towards one sender, the set of
-- those who are out towards one sender. ARGV: number,
-- 'out' or 'in', when, the change as JSON, and the name of number and sender if it is about one sender
-- only, else ''. A standing is stored as "<when> <out|in> <JSON>", those towards single senders as lines
-- of "<when> <out|in> <name> <JSON>".
local number, kind, at, json, name = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

-- Whether this change comes behind another. At the same time the refusal holds.
local function is_behind(other_at, other_kind)
  other_at = tonumber(other_at)
  return at > other_at or (at == other_at and kind == 'out' and other_kind == 'in')
end

local known = redis.call('HGET', KEYS[2], number)
local known_at, known_kind
if known then known_at, known_kind = string.match(known, '^(%d+) (%a+) ') end

local kept = {}
local function each_line(keep)
  for line in string.gmatch(redis.call('HGET', KEYS[3], number) or '', '[^\n]+') do
    local line_at, line_kind, line_name = string.match(line, '^(%d+) (%a+) (%d+) ')
    if keep(line_at, line_kind, line_name) then kept[#kept + 1] = line end
  end
end

if name == '' then
  if known and not is_behind(known_at, known_kind) then return 0 end
  redis.call('HSET', KEYS[2], number, ARGV[3] .. ' ' .. kind .. ' ' .. json)
  redis.call(kind == 'out' and 'SADD' or 'SREM', KEYS[1], number)
  if kind == 'out' or redis.call('HEXISTS', KEYS[3], number) == 0 then return 1 end
  -- Who comes back to the organisation comes back to all its senders.
  each_line(function(line_at, line_kind, line_name)
    local is_later = tonumber(line_at) > at or (tonumber(line_at) == at and line_kind == 'out')
    if not is_later then redis.call('SREM', KEYS[4], line_name) end
    return is_later
  end)
else
  if known_kind == 'in' and not is_behind(known_at, known_kind) then return 0 end
  local holds = true
  each_line(function(line_at, line_kind, line_name)
    if line_name ~= name then return true end
    holds = is_behind(line_at, line_kind)
    return false
  end)
  if not holds then return 0 end
  kept[#kept + 1] = ARGV[3] .. ' ' .. kind .. ' ' .. name .. ' ' .. json
  redis.call(kind == 'out' and 'SADD' or 'SREM', KEYS[4], name)
end
if #kept > 0 then
  redis.call('HSET', KEYS[3], number, table.concat(kept, '\n'))
else
  redis.call('HDEL', KEYS[3], number)
end
return 1
