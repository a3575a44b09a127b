-- Lists a batch under its distribution; 0 if that is cancelled. KEYS: the distribution, its batches,
-- the organisation's distributions by age, the same by their end. ARGV: distribution, batch, created,
-- lifetime in milliseconds.
local ended = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now_millis, 'LIMIT', 0, 100)
if #ended > 0 then
  redis.call('ZREM', KEYS[3], unpack(ended))
  redis.call('ZREM', KEYS[4], unpack(ended))
end
if redis.call('HGET', KEYS[1], 'state') == 'cancelled' then return 0 end
redis.call('HSETNX', KEYS[1], 'state', 'active')
redis.call('HSETNX', KEYS[1], 'created', ARGV[3])
redis.call('ZADD', KEYS[3], 'NX', redis.call('HGET', KEYS[1], 'created'), ARGV[1])
redis.call('ZADD', KEYS[2], 'NX', redis.call('ZCARD', KEYS[2]), ARGV[2])
redis.call('ZADD', KEYS[4], 'GT', now_millis + tonumber(ARGV[4]), ARGV[1])
for i = 1, 4 do
  local millis = math.max(redis.call('PTTL', KEYS[i]), tonumber(ARGV[4]))
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', millis))
end
return 1
