#!/bin/bash
# slurm/resume.sh COMMAND...: the last line of every batch file here. Runs COMMAND (srun or mpirun and what they start),
# passes Slurm's warning on to it, and puts the job back into the queue when it stopped early in good order.
#   USR1 (--signal=B:USR1@120, before the time limit) -> COMMAND finishes its bundles and ends with 75 -> requeue
#   preemption, a lost node -> Slurm itself requeues the job (--requeue)
# The next start runs the same command again, and that resumes.
set -u

stopped_early=75
child=
warned=no
trap 'warned=yes; [ -n "$child" ] && kill -USR1 "$child" 2>/dev/null' USR1

# srun gives a step only the cores that it is told of (Slurm 22.05 and later).
[ -n "${SLURM_CPUS_PER_TASK:-}" ] && export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

"$@" &
child=$!
wait "$child"
code=$?
while [ $warned = yes ]; do # the signal ended `wait`, not the command
  warned=no
  wait "$child"
  code=$?
done

if [ $code -eq $stopped_early ]; then
  job=$SLURM_JOB_ID
  [ -n "${SLURM_ARRAY_TASK_ID:-}" ] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  echo "stopped early in start $((${SLURM_RESTART_COUNT:-0} + 1)): job $job goes back into the queue" >&2
  scontrol requeue "$job"
fi
exit $code
