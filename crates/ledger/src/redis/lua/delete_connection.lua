-- KEYS: an organisation's connections, the ends of the deleted ones. ARGV: id, when.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
