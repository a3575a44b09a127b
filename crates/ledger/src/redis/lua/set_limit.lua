-- KEYS: the cell. ARGV: per second, or '' to leave it to those who ask.
local cell = read_cell(KEYS[1])
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'set')
  cell.set = nil
else
  redis.call('HSET', KEYS[1], 'set', ARGV[1])
  cell.set = tonumber(ARGV[1])
end
keep_cell(KEYS[1], cell)
return 1
