-- What all scripts over the rows of one batch share: `entry.rs`, `columns.rs`, `parts.rs` and `rules.rs`
-- once more. KEYS[1] is the batch, KEYS[2..] are buckets of 100 rows.

local QUEUED, SENDING, IN_DOUBT, SENT, DELIVERED, CANCELLED = 0, 1, 2, 4, 9, 18
-- The rank of each state, by its code. No table: this is run with every call.
local function rank(state)
  return string.byte('\0\1\2\3\4\5\6\7\7\8\0\0\0\0\0\0\9\9\9\9', state + 1)
end
local NEVER_HANDED_OVER = 9

-- Buckets whose columns are read together with the batch: as many as fit the 16 KB that the server answers a
-- script in one piece. Those of a larger call are read one by one.
local AT_ONCE = 6

local names = { 'created', 'connections', 'seq', 'cancelled' }
for i = 2, math.min(#KEYS, AT_ONCE) do
  local number, at = string.match(KEYS[i], ':(%d+)$'), 3 * i
  names[at - 1], names[at], names[at + 1] = 's' .. number, 'r' .. number, 't' .. number
end
local head = redis.call('HMGET', KEYS[1], unpack(names))
if not head[1] then return {} end
local created, connections, seq, cancelled = tonumber(head[1]), head[2], tonumber(head[3]), head[4]
local moved = {}
-- How many rows a step speaks for.
local weight = 1

-- Times are stored as milliseconds after the batch's creation, plus one.
local function offset(now)
  return math.max(tonumber(now) - created, 0) + 1
end

local function read(bytes)
  local head, attempt, connection, token, at, claimed, changed, to, code, rest =
    struct.unpack('>BBBc4I4I5I5c7Bc0', bytes)
  local parts
  if head >= 128 then
    parts = {}
    parts.reported, parts.settled, parts.numbers, parts.ids, rest =
      struct.unpack('>BBBc0Bc0', bytes, rest)
  end
  return {
    state = head % 32, parts_told = head % 128 >= 64, parts = parts, attempt = attempt,
    connection = connection, token = token, seq = at, claimed = claimed, changed = changed, to = to,
    code = code, id = string.sub(bytes, rest),
  }
end

local function pack_parts(parts)
  if not parts then return '' end
  return struct.pack('>BBB', parts.reported, parts.settled, #parts.numbers) .. parts.numbers
    .. struct.pack('>B', #parts.ids) .. parts.ids
end

-- The bytes of a row that changed; packed once, although they are stored and told.
local function pack(row)
  if not row.packed then
    local head = row.state + 32 + (row.parts_told and 64 or 0) + (row.parts and 128 or 0)
    row.packed = struct.pack('>BBBc4I4I5I5c7B', head, row.attempt, row.connection, row.token, row.seq,
      row.claimed, row.changed, row.to, #row.code) .. row.code .. pack_parts(row.parts) .. row.id
  end
  return row.packed
end

local function touch(row)
  row.dirty, row.packed = true, nil
end

local function move(row, state, code, now)
  moved[row.state] = (moved[row.state] or 0) - weight
  moved[state] = (moved[state] or 0) + weight
  row.state, row.code, row.seq, row.changed = state, code, seq + 1, now
  seq = seq + weight
  touch(row)
end

-- The join of the lattice: moves up or stays, and keeps the first provider id it hears of.
local function join(row, state, code, id, now)
  local from, to = rank(row.state), rank(state)
  if from == NEVER_HANDED_OVER then return false end
  if row.id == '' and id ~= '' then
    row.id = id
    touch(row)
  end
  local up = to > from
  if to == from then
    up = outranks_bytes(code, row.code) or (code == row.code and state > row.state)
  end
  if up then move(row, state, code, now) end
  return up
end

-- Whether a state says more than that a request may leave.
local function says_something(state)
  return rank(state) > rank(SENDING) and rank(state) < NEVER_HANDED_OVER
end

-- Delivered, if the last part is; whether the row moved.
local function conclude(row, now)
  local parts = row.parts
  if not parts then return false end
  local total = parts.reported > 0 and parts.reported or parts.settled
  if total == 0 or #parts.numbers + #parts.ids / 4 < total then return false end
  row.parts = nil
  touch(row)
  return join(row, DELIVERED, '', '', now)
end

