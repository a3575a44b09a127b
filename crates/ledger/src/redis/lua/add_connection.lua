-- KEYS: an organisation's connections, their order, the ends of the deleted ones. ARGV: id, connection
-- as JSON, when deleted (empty while it is not). One that is there already stays as it is.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 and ARGV[3] ~= '' then
  redis.call('HSETNX', KEYS[3], ARGV[1], ARGV[3])
end
redis.call('ZADD', KEYS[2], 'NX', redis.call('ZCARD', KEYS[2]), ARGV[1])
return 1
