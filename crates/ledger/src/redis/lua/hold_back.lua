-- KEYS: the cell. ARGV: milliseconds.
local until_micros = now_micros + tonumber(ARGV[1]) * 1000
local held = tonumber(redis.call('HGET', KEYS[1], 'held') or 0)
redis.call('HSET', KEYS[1], 'held', string.format('%.0f', math.max(held, until_micros)))
-- Long enough for the end of the hold to be felt: bursts of more than an hour's tokens are not set.
local millis = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[1]) + 3600000)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', millis))
return 1
