#!/bin/sh
# The runner calls this when a job starts. A failure here fails the job.
exec /opt/ecsrunners/supervisor hook job-started
