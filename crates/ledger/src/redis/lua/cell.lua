-- `gcra.rs` once more: a limit's cell. `due` is a list of times with commas between.
local function read_cell(key)
  local fields = redis.call('HMGET', key, 'due', 'held', 'set', 'rate', 'rate_at', 'cut')
  local cell = { due = {}, held = tonumber(fields[2] or 0), set = tonumber(fields[3] or nil) }
  for due in string.gmatch(fields[1] or '', '[^,]+') do
    cell.due[#cell.due + 1] = tonumber(due)
  end
  cell.rate, cell.rate_at = tonumber(fields[4] or nil), tonumber(fields[5] or 0)
  cell.cut = tonumber(fields[6] or 0)
  return cell
end

local function is_rate(rate)
  return rate ~= nil and rate == rate and rate > 0 and rate < math.huge
end

local function effective(cell, configured)
  if not cell.rate then
    return configured
  end
  local back = configured * 0.05 * math.max(now_micros - cell.rate_at, 0) / 1000000
  return math.min(configured, cell.rate + back)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function exact(number)
  return string.format('%.17g', number)
end

-- A cell that nobody asks for any more says nothing new a minute after its last token, its hold and
-- its recovery are over, unless an operator set its rate.
local function keep_cell(key, cell)
  if cell.set then
    redis.call('PERSIST', key)
    return
  end
  local busy_until = math.max(now_micros, cell.held)
  for _, due in ipairs(cell.due) do
    busy_until = math.max(busy_until, due)
  end
  redis.call('PEXPIRE', key, whole(math.ceil((busy_until - now_micros) / 1000) + 60000))
end

local function state(cell, asked, cut)
  local configured = cell.set or asked
  local since_cut, quiet = now_micros - cell.cut, 0
  if since_cut >= 0 and since_cut < 500000 then
    quiet = 500000 - since_cut
  end
  return {
    cell.set and exact(cell.set) or '', exact(configured), exact(effective(cell, configured)),
    whole(math.max(cell.held - now_micros, 0)), whole(quiet), cut and '1' or '0',
  }
end
