-- KEYS: the shard of numbers that are out, the shard of standings. ARGV: number, 'out' or 'in', when,
-- the change as JSON. A standing is stored as "<when> <out|in> <JSON>".
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then
  local at, kind = string.match(known, '^(%d+) (%a+) ')
  at = tonumber(at)
  local now = tonumber(ARGV[3])
  -- At the same time the refusal holds.
  if now < at or (now == at and not (ARGV[2] == 'out' and kind == 'in')) then return 0 end
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3] .. ' ' .. ARGV[2] .. ' ' .. ARGV[4])
redis.call(ARGV[2] == 'out' and 'SADD' or 'SREM', KEYS[1], ARGV[1])
return 1
