/* Makes every sync a lie: it returns at once and has done nothing. For LD_PRELOAD, before the system's library.
   The planted fault of tests/power.rs; the real program must never be run with it. */
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
