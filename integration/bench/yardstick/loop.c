/* The bare crash loop: fork, exec, wait, until the program exits with 9. Nobody can restart for less. */
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status = 0;

	if (argc < 2)
		return 2;
	do {
		pid_t pid = fork();
		if (pid == 0) {
			execv(argv[1], argv + 1);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 3;
	} while (WEXITSTATUS(status) == 1);
	return WEXITSTATUS(status);
}
