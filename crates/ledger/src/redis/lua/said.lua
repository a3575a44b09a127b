-- What is said about rows of one bucket: row, state or outcome, code and provider id of each.
local function said(packed)
  local fields, list, at = {}, {}, 1
  while at <= #packed do
    local field, what, code, id, rest = struct.unpack('>BBBc0Bc0', packed, at)
    fields[#fields + 1] = field
    list[#list + 1] = { what = what, code = code, id = id }
    at = rest
  end
  return fields, list
end

