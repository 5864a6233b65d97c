-- What the number of an H3 cell says by itself; no extension is needed for it.

CREATE FUNCTION h3.cell_text(cell bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_hex(cell);
COMMENT ON FUNCTION h3.cell_text IS 'The cell as H3 writes it: hexadecimal digits.';

CREATE FUNCTION h3.cell_number(cell text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || lpad(cell, 16, '0'))::bit(64)::bigint;
COMMENT ON FUNCTION h3.cell_number IS 'The cell as a number, from its text.';

CREATE FUNCTION h3.resolution(cell bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ((cell >> 52) & 15)::integer;

CREATE FUNCTION h3.base_cell(cell bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ((cell >> 45) & 127)::integer;

CREATE FUNCTION h3.parent(cell bigint, resolution integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (cell & ~(15::bigint << 52))
    | (resolution::bigint << 52)
    | ((1::bigint << (3 * (15 - resolution))) - 1);
COMMENT ON FUNCTION h3.parent IS
    'The ancestor of the cell at a resolution that is not finer than its own.';
