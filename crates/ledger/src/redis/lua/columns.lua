-- Rows that share their whole history are one entry with a list of who shares it: see `columns.rs`. What
-- happens to all of them happens once; a row that goes its own way gets an entry of its own.
local ELSEWHERE, ENTERED = 0, 1
-- Fewer rows are not worth a run of their own, nor are many runs worth their way through here.
local RUN_ROWS_MIN, RUNS_MAX = 8, 16

-- The run of rows that are as they were entered: it has no list of them.
local NOBODY = { entry = '\32' .. string.rep('\0', 28), rows = '', offsets = '', gone = 0, width = 0, from = '', at = 1 }

local buckets = {}

local function bucket(i)
  if buckets[i] then return buckets[i] end
  local stored, packed, numbers = head[3 * i - 1], head[3 * i], head[3 * i + 1]
  local number = string.match(KEYS[i], ':(%d+)$')
  if i > AT_ONCE then
    stored, packed, numbers =
      unpack(redis.call('HMGET', KEYS[1], 's' .. number, 'r' .. number, 't' .. number))
  end
  local b = { key = KEYS[i], number = number, column = '', numbers = numbers or '', runs = {}, rows = {},
    packed = packed or '', stored_runs = packed or '' }
  buckets[i] = b
  if not stored then return b end
  local at, behind = 1, nil
  while at <= #b.packed do
    local run, id = { gone = 0, from = packed }, nil
    id, run.entry, run.rows, run.offsets, run.width, run.at = struct.unpack('>BBc0Bc0Bc0B', packed, at)
    at = run.at + #run.rows * run.width
    b.runs[id] = run
  end
  b.column, behind = struct.unpack('>Bc0', stored)
  for at = behind, #stored, 2 do
    local id, gone = string.byte(stored, at, at + 1)
    if id == ELSEWHERE then b.has_end = true else b.runs[id].gone = gone end
  end
  return b
end

local function ids_of(run)
  return string.sub(run.from, run.at, run.at + #run.rows * run.width - 1)
end

-- What is stored of a bucket's column, and of its runs.
local function pack_column(b)
  local out = string.char(#b.column) .. b.column .. (b.has_end and '\0\1' or '')
  for id, run in pairs(b.runs) do
    if run.gone > 0 then out = out .. string.char(id, run.gone) end
  end
  return out
end

local function pack_runs(b)
  if not b.packed then
    local out = {}
    for id, run in pairs(b.runs) do
      out[#out + 1] = struct.pack('>BBc0Bc0Bc0B', id, #run.entry, run.entry, #run.rows, run.rows,
        #run.offsets, run.offsets, run.width)
      out[#out + 1] = ids_of(run)
    end
    b.packed = table.concat(out)
  end
  return b.packed
end

-- Writes the id of a run, or ELSEWHERE, beside `rows`, which ascend.
local function mark(b, rows, id)
  local column, first, last = b.column, string.byte(rows, 1), string.byte(rows, -1)
  if last - first + 1 == #rows then
    column = string.sub(column, 1, first) .. string.rep(string.char(id), #rows) .. string.sub(column, last + 2)
  elseif #rows <= 8 then
    local out, start = {}, 1
    for p = 1, #rows do
      local row = string.byte(rows, p)
      out[2 * p - 1], out[2 * p] = string.sub(column, start, row), string.char(id)
      start = row + 2
    end
    column = table.concat(out) .. string.sub(column, start)
  else
    local bytes = { string.byte(column, 1, -1) }
    for p = 1, #rows do bytes[string.byte(rows, p) + 1] = id end
    column = string.char(unpack(bytes))
  end
  b.column, b.changed = column, true
end

-- The run of all of `rows`, if it is one run and worth to be treated as one.
local function shared(b, rows)
  local first, last = string.byte(rows, 1), string.byte(rows, -1)
  local id = string.byte(b.column, first + 1) or ELSEWHERE
  if id == ELSEWHERE or last >= #b.column then return nil end
  local whole = id == ENTERED and #rows == #b.column or id ~= ENTERED and b.runs[id].rows == rows
  if not whole then
    if #rows < RUN_ROWS_MIN then return nil end
    local runs = 0
    for _ in pairs(b.runs) do runs = runs + 1 end
    if runs >= RUNS_MAX then return nil end
  end
  if last - first + 1 == #rows then
    local all = string.sub(b.column, first + 1, last + 1) == string.rep(string.char(id), #rows)
    return all and id or nil
  end
  for p = 2, #rows do
    if string.byte(b.column, string.byte(rows, p) + 1) ~= id then return nil end
  end
  return id
end

-- Where a row stands in its run: how far its sequence number is behind the first one's, and its id.
local function standing(run, row)
  local p = string.find(run.rows, string.char(row), 1, true)
  local offset = run.offsets == '' and p - 1 or string.byte(run.offsets, p)
  return offset, string.sub(run.from, run.at + (p - 1) * run.width, run.at + p * run.width - 1)
end

-- The run of those of its rows that are in `rows`.
local function part_of(run, rows)
  if rows == run.rows then return run end
  local offsets, ids = {}, {}
  for p = 1, #rows do
    local offset, id = standing(run, string.byte(rows, p))
    offsets[p], ids[p] = string.char(offset), id
  end
  return { entry = run.entry, rows = rows, offsets = table.concat(offsets), gone = 0, width = run.width,
    from = table.concat(ids), at = 1 }
end

-- So many rows left a run. It keeps their places until they are most of it.
local function leave(b, id, n)
  local run = b.runs[id]
  if not run then return end
  run.gone = run.gone + n
  b.changed = true
  if run.gone == #run.rows then
    b.runs[id], b.packed = nil, nil
  elseif 2 * run.gone > #run.rows then
    local left = {}
    for p = 1, #run.rows do
      local row = string.byte(run.rows, p)
      if string.byte(b.column, row + 1) == id then left[#left + 1] = row end
    end
    b.runs[id], b.packed = part_of(run, string.char(unpack(left))), nil
  end
end

-- One step for all of `rows`, which are in one run.
local function together(b, rows, id, width, ids, step)
  local run = b.runs[id] or NOBODY
  local row = read(run.entry)
  -- Whether they have ids; which do not matter to any step.
  row.id = run.width > 0 and 'known' or ''
  local seq_before = seq
  weight = #rows
  local letter, tell = step(row, width > 0 and 'said' or '')
  weight = 1
  if not row.dirty then return letter, tell end
  local is_whole = run.rows == rows
  local new = { rows = rows, offsets = '', gone = 0, width = width, from = ids, at = 1 }
  if row.id ~= 'said' or seq == seq_before then
    local part = id == ENTERED and NOBODY or part_of(run, rows)
    if row.id ~= 'said' then new.width, new.from, new.at = part.width, part.from, part.at end
    if seq == seq_before then new.offsets = part.offsets end
  end
  row.id = ''
  new.entry = pack(row)
  b.changed, b.packed = true, nil
  if is_whole then
    b.runs[id] = new
    return letter, tell
  end
  local new_id = ENTERED + 1
  while b.runs[new_id] do new_id = new_id + 1 end
  b.runs[new_id] = new
  mark(b, rows, new_id)
  leave(b, id, #rows)
  return letter, tell
end

-- A row out of its run.
local function lone(b, field, id)
  local run = b.runs[id] or NOBODY
  local row = read(run.entry)
  if id ~= ENTERED then
    local offset
    offset, row.id = standing(run, field)
    row.seq = row.seq + offset
  end
  row.to = string.sub(b.numbers, 7 * field + 1, 7 * field + 7)
  return row
end

local answers = { '', '' }

-- A step for each of `rows` by itself.
local function apart(b, rows, width, ids, step)
  local unread = {}
  for p = 1, #rows do
    local field = string.byte(rows, p)
    local id = string.byte(b.column, field + 1) or ELSEWHERE
    if id == ELSEWHERE and b.rows[field] == nil then
      unread[#unread + 1] = field
      b.rows[field] = false
    end
  end
  if #unread > 0 then
    local values = redis.call('HMGET', b.key, unpack(unread))
    for i, field in ipairs(unread) do
      if values[i] then
        b.rows[field] = read(values[i])
        b.rows[field].packed = values[i]
      end
    end
  end
  local letters, told, left, from = {}, {}, {}, {}
  for p = 1, #rows do
    local field = string.byte(rows, p)
    local id = string.byte(b.column, field + 1) or ELSEWHERE
    local row = b.rows[field]
    if id ~= ELSEWHERE then row = lone(b, field, id) end
    if row then
      local letter, tell = step(row, string.sub(ids, (p - 1) * width + 1, p * width))
      letters[p] = letter
      if tell then told[#told + 1] = pack(row) end
      if row.dirty and id ~= ELSEWHERE then
        b.rows[field] = row
        left[#left + 1] = field
        from[id] = (from[id] or 0) + 1
      end
    else
      letters[p] = '?'
    end
  end
  if #left > 0 then
    mark(b, string.char(unpack(left)), ELSEWHERE)
    for id, n in pairs(from) do leave(b, id, n) end
  end
  answers[#answers + 1] = '-' .. table.concat(letters)
  for _, row in ipairs(told) do answers[#answers + 1] = row end
end

-- Calls step(row, id), whose answer is a letter and whether the row itself belongs into the answer, for
-- each of `rows`: fields of a bucket that ascend, about which the same is said but for the ids, which
-- have `width` bytes each. `alone`: what is said makes every row another.
local function each(b, rows, width, ids, step, alone)
  local id = not alone and shared(b, rows)
  if not id then return apart(b, rows, width, ids, step) end
  local letter, tell = together(b, rows, id, width, ids, step)
  answers[#answers + 1] = '=' .. letter
  if tell then
    answers[#answers + 1] = pack_column(b)
    answers[#answers + 1] = pack_runs(b)
    answers[#answers + 1] = b.numbers
  end
end

-- Writes the rows that changed, moves the counters and makes the answer: when the batch was created, its
-- connections, then for each group of rows '=' and the letter of all of them, or '-' and one letter for
-- each, and the rows where they are told: as columns, or one by one.
local function finish()
  local set = {}
  for _, b in pairs(buckets) do
    local changes = {}
    for field, row in pairs(b.rows) do
      if row and row.dirty then
        changes[#changes + 1] = field
        changes[#changes + 1] = pack(row)
      end
    end
    if #changes > 0 then
      local new = redis.call('HSET', b.key, unpack(changes))
      if not b.has_end and 2 * new == #changes and redis.call('HLEN', b.key) == new then
        local millis = redis.call('PTTL', KEYS[1])
        if millis > 0 then redis.call('PEXPIRE', b.key, string.format('%.0f', millis)) end
      end
      b.has_end = true
    end
    if b.changed then
      if b.column == string.rep('\0', #b.column) then
        redis.call('HDEL', KEYS[1], 's' .. b.number, 'r' .. b.number, 't' .. b.number)
      else
        set[#set + 1] = 's' .. b.number
        set[#set + 1] = pack_column(b)
        if pack_runs(b) ~= b.stored_runs then
          set[#set + 1] = 'r' .. b.number
          set[#set + 1] = pack_runs(b)
        end
      end
    end
  end
  for state, by in pairs(moved) do
    if by ~= 0 then redis.call('HINCRBY', KEYS[1], 'n' .. state, by) end
  end
  if seq ~= tonumber(head[3]) then
    set[#set + 1] = 'seq'
    set[#set + 1] = seq
  end
  if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
  answers[1], answers[2] = head[1], connections
  return answers
end

