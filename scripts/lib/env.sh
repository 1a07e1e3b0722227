# Puts what scripts/setup made for this user in front of PATH. To be sourced, by any POSIX shell.

ckptfs_cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ckptfs
for ckptfs_directory in "$ckptfs_cache/node/bin" "$ckptfs_cache/criu/bin"; do
  case ":$PATH:" in
    *":$ckptfs_directory:"*) ;;
    *) if [ -d "$ckptfs_directory" ]; then PATH=$ckptfs_directory:$PATH; fi ;;
  esac
done
unset ckptfs_directory
case ":$PATH:" in
  *:/usr/sbin:*) ;;
  *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;;
esac
export PATH
