-- KEYS: entries, their ends, version, weights, changes. ARGV: name, entry as JSON, end in
-- milliseconds, weight or nothing. A batch that expires sooner does not shorten the lease of the ones
-- before it, and one that does not say a weight does not change theirs.
local name, entry, till, weight = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local known_till = tonumber(redis.call('ZSCORE', KEYS[2], name) or 0)
local weighs = weight == '' or redis.call('HGET', KEYS[4], name) == weight
if known_till >= till and weighs and redis.call('HGET', KEYS[1], name) == entry then return 0 end
redis.call('HSET', KEYS[1], name, entry)
redis.call('ZADD', KEYS[2], string.format('%.0f', math.max(till, known_till)), name)
if not weighs then redis.call('HSET', KEYS[4], name, weight) end
note(KEYS[5], { name }, bump(KEYS[3]))
return 1
