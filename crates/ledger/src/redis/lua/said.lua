-- What is said about rows of one bucket: row, state or outcome, code, provider id, how many parts there
-- are, and the name of the part that it is about, of each.
local function said(packed)
  local fields, list, at = {}, {}, 1
  while at <= #packed do
    local field, what, code, id, parts, name, rest = struct.unpack('>BBBc0Bc0BBc0', packed, at)
    fields[#fields + 1] = field
    list[#list + 1] = { what = what, code = code, id = id, parts = parts, name = name }
    at = rest
  end
  return fields, list
end

