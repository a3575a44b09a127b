-- What a provider answered. KEYS: the cell. ARGV: per second, throttled answers, all answers,
-- microseconds to hold. Answers the limit's state.
local cell = read_cell(KEYS[1])
local configured = cell.set or tonumber(ARGV[1])
local throttled, answers, hold = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local since_cut = now_micros - cell.cut
local cut = throttled > 0 and (since_cut < 0 or since_cut >= 500000) and is_rate(configured)
if cut then
  local of = math.max(answers, throttled)
  if throttled <= 1 then
    of = math.max(of, 20)
  end
  local left = effective(cell, configured) * math.max(1 - throttled / of, 0.5)
  cell.rate, cell.rate_at, cell.cut = math.max(left, configured * 0.01), now_micros, now_micros
  redis.call('HSET', KEYS[1], 'rate', exact(cell.rate), 'rate_at', whole(now_micros), 'cut', whole(now_micros))
end
if hold > 0 then
  cell.held = math.max(cell.held, now_micros + hold)
  redis.call('HSET', KEYS[1], 'held', whole(cell.held))
end
keep_cell(KEYS[1], cell)
return state(cell, tonumber(ARGV[1]), cut)
