-- The next tokens of each limit. KEYS: cells. ARGV: per second, want, least of each. Answers for each:
-- microseconds to wait, rate, configured rate, interval, then start and tokens of each slice.
local answer = {}
for i, key in ipairs(KEYS) do
  local cell = read_cell(key)
  local configured = cell.set or tonumber(ARGV[3 * i - 2])
  local want, least = tonumber(ARGV[3 * i - 1]), math.max(tonumber(ARGV[3 * i]), 1)
  local rate = effective(cell, configured)
  if not is_rate(rate) then
    answer[i] = { '1000000', '0', '0', '0' }
  else
    local pace = rate * 0.995
    local tracks = math.min(math.max(math.floor(configured / 1000), 1), 16)
    local interval = tracks * 1000000 / pace
    if #cell.due ~= tracks then
      local last = 0
      for _, due in ipairs(cell.due) do
        last = math.max(last, due)
      end
      cell.due = {}
      for track = 1, tracks do
        cell.due[track] = last
      end
    end
    local block = math.max(math.floor(math.min(math.max(pace * 0.05, 25), pace * 0.25)), 1)
    local per_track = math.max(math.ceil(block / tracks), math.ceil(least / tracks))
    local left = math.min(math.max(want, least), math.max(block, least))
    local latest = now_micros + 2000000 + 1024 * interval
    local earliest = math.max(now_micros - 5000, cell.held)
    local wait, slices = 0, {}
    while left > 0 do
      local track = 1
      for other = 2, tracks do
        if cell.due[other] < cell.due[track] then
          track = other
        end
      end
      local starts = math.max(math.min(cell.due[track], latest), earliest)
      if #slices == 0 and starts > now_micros + 2000000 then
        wait = math.ceil(starts - 2000000 - now_micros)
        break
      end
      local tokens = math.min(left, per_track)
      left = left - tokens
      cell.due[track] = math.ceil(starts + tokens * interval)
      slices[#slices + 1] = whole(starts - now_micros - (starts - now_micros) % 1)
      slices[#slices + 1] = whole(tokens)
    end
    if #slices > 0 then
      local due = {}
      for track = 1, tracks do
        due[track] = whole(cell.due[track])
      end
      redis.call('HSET', key, 'due', table.concat(due, ','))
      keep_cell(key, cell)
    end
    answer[i] = { whole(wait), exact(rate), exact(configured), exact(interval), unpack(slices) }
  end
end
return answer
