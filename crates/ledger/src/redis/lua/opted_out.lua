-- One letter for each number: 1 if it, or its name together with the sender, is in the shard beside it.
-- KEYS: shards. ARGV: for each shard the number, and the name of number and sender.
local out = {}
for i = 1, #KEYS do
  local found = redis.call('SMISMEMBER', KEYS[i], ARGV[2 * i - 1], ARGV[2 * i])
  out[i] = (found[1] == 1 or found[2] == 1) and 1 or 0
end
return table.concat(out)
