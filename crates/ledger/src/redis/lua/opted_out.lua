-- One letter for each number: 1 if it is in the shard beside it. KEYS: shards. ARGV: numbers.
local out = {}
for i = 1, #KEYS do out[i] = redis.call('SISMEMBER', KEYS[i], ARGV[i]) end
return table.concat(out)
