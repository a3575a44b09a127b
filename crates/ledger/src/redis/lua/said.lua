-- What is said about a group of rows: their bucket, state or outcome, code, how many parts there are, the
-- name of the part that it is about, and the rows with their ids. Calls step(row, said, id) for each.
local function each_said(packed, step)
  local said, rows, width, rest = {}, nil, nil, nil
  local at
  at, said.what, said.code, said.parts, said.name, rows, width, rest =
    struct.unpack('>HBBc0BBc0Bc0B', packed)
  local alone = said.name ~= '' or said.parts > 1
  each(bucket(at), rows, width, string.sub(packed, rest), function(row, id) return step(row, said, id) end, alone)
end

