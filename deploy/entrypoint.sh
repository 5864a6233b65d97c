#!/bin/sh
# Give Dagster's own commands the settings that `strata` reads from the environment.
set -eu
exports=$(strata env)
eval "$exports"
exec "$@"
