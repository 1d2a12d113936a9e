/* Fails with 1 until its pid reaches the number in its name's argument, then with 9. In a fresh PID namespace
 * pids count the processes, so this ends a crash loop after a known number of runs without keeping any state. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	return argc > 1 && getpid() >= atoi(argv[1]) ? 9 : 1;
}
