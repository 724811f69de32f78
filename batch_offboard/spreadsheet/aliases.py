"""The headers by which the ID and name columns are known: fixed lists, compared after `header_key`.

There is no fuzzy match. A header that is not listed is found by the column's content or named by the
operator; Entra, Intune and serial number columns are left out on purpose.
"""

import re
import unicodedata
from typing import Final

from batch_offboard.devices import INVISIBLE

_IGNORED = re.compile(f"[{re.escape(INVISIBLE)}_-]+")


def header_key(header: str) -> str:
    """A header in the form in which headers are compared: NFKC, case folded, blanks, `_` and `-` left out."""
    return _IGNORED.sub("", unicodedata.normalize("NFKC", header).replace("’", "'")).casefold()


def _keys(**headers: str) -> frozenset[str]:
    """The keys of lists that are written one language to an argument, `|` between the headers."""
    return frozenset(header_key(header) for listed in headers.values() for header in listed.split("|"))


ID_HEADERS: Final = _keys(
    english=(
        "Device ID | Machine ID | Defender ID | Defender device ID | Defender machine ID | MDE ID"
        "| MDE device ID"
        "| MDE machine ID | MDATP device ID | MDATP machine ID | WDATP machine ID | ATP device ID"
        "| ATP machine ID"
        "| Microsoft Defender device ID | Microsoft Defender for Endpoint device ID | Sense ID"
        "| Sense device ID"
    ),
    japanese="デバイス ID | デバイス識別子 | マシン ID | 端末 ID",
    chinese="设备 ID | 計算機 ID | 计算机 ID | 裝置 ID | 設備 ID",
    korean="디바이스 ID | 장치 ID",
    german="Geräte-ID | Geräte-Id. | Gerätekennung | Gerät-ID | Computer-ID | Maschinen-ID",
    french=(
        "ID de l'appareil | ID d'appareil | ID appareil | Identifiant de l'appareil"
        "| Identificateur de l'appareil"
        "| ID de périphérique | ID du périphérique | ID de la machine | ID machine"
    ),
    spanish=(
        "Id. de dispositivo | Id. del dispositivo | ID de dispositivo | ID del dispositivo | ID dispositivo"
        "| Identificador de dispositivo | Identificador del dispositivo | Id. de máquina | ID de máquina"
    ),
    portuguese="ID do dispositivo | Identificador do dispositivo",
    italian="ID del computer | ID computer",
    dutch="Apparaat-ID | ID van apparaat",
)

# Headers that mean a device ID in the API's own answers and a running number nearly everywhere else.
WEAK_ID_HEADERS: Final = _keys(english="id | ids")

NAME_HEADERS: Final = _keys(
    english=(
        "Device name | Computer name | ComputerDnsName | Host name | Machine name | DNS name | FQDN| Computer | Host"
    ),
    japanese="デバイス名 | コンピューター名 | コンピュータ名 | 端末名 | マシン名 | ホスト名",
    chinese="设备名称 | 设备名 | 計算機名稱 | 裝置名稱 | 計算机名",
    korean="디바이스 이름 | 장치 이름",
    german="Gerätename | Computername | Rechnername | Hostname",
    french="Nom de l'appareil | Nom d'appareil | Nom de l'ordinateur | Nom du périphérique | Nom d'hôte",
    spanish=("Nombre de dispositivo | Nombre del dispositivo | Nombre de equipo | Nombre del equipo| Nombre de host"),
    portuguese="Nome do dispositivo | Nome do computador",
    italian="Nome dispositivo | Nome del dispositivo | Nome del computer",
    dutch="Apparaatnaam | Naam van apparaat | Computernaam",
)

WEAK_NAME_HEADERS: Final = _keys(
    english="name | device", japanese="デバイス", german="Gerät", french="appareil", spanish="dispositivo"
)

# 40 hexadecimal digits are a SHA-1 as well: these columns are never taken for IDs by their content.
HASH_HEADERS: Final = _keys(
    english=(
        "sha1 | sha1 hash | hash | file hash | InitiatingProcessSHA1 | thumbprint | certificate thumbprint"
        "| fingerprint | commit | machine action id | action id"
    ),
    german="Fingerabdruck",
)
