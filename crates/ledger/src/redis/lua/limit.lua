-- KEYS: the cell. ARGV: per second.
return state(read_cell(KEYS[1]), tonumber(ARGV[1]), false)
