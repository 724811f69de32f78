"""The known headers of ID and name columns: fixed lists, compared after `header_key`.

There is no fuzzy matching. A column whose header is not listed is recognised by its content or named by the operator;
Entra, Intune and serial number columns are left out on purpose.
"""

import re
import unicodedata
from typing import Final

from batch_offboard.core.devices import INVISIBLE

# Characters ignored in headers, and the long vowel that Japanese writes or omits (コンピューター, コンピュータ).
_IGNORED = re.compile(f"[{re.escape(INVISIBLE)}_.:*※【】ー\u2010-\u2015\u2212-]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")


def header_key(header: str) -> str:
    """A header's key for comparison: NFKC, case folded, without accents, blanks and marks."""
    plain = unicodedata.normalize("NFKD", header.replace("’", "'").replace("ß", "ss"))
    return _IGNORED.sub("", unicodedata.normalize("NFKC", _ACCENTS.sub("", plain))).casefold()


def _keys(**headers: str) -> frozenset[str]:
    """The keys of all headers; each argument is one language, with `|` between the headers."""
    return frozenset(header_key(header) for listed in headers.values() for header in listed.split("|"))


ID_HEADERS: Final = _keys(
    english=(
        "Device ID | Machine ID | Defender ID | Defender device ID | Defender machine ID | MDE ID | MDE device ID"
        "| MDE machine ID | MDATP device ID | MDATP machine ID | WDATP machine ID | ATP device ID | ATP machine ID"
        "| Microsoft Defender device ID | Microsoft Defender for Endpoint device ID | Sense ID | Sense device ID"
    ),
    japanese=(
        "デバイス ID | デバイス識別子 | デバイス識別 ID | マシン ID | 端末 ID | 端末識別子 | 端末識別 ID"
        "| コンピューター ID | Defender ID | Defender デバイス ID | Defender の デバイス ID | MDE デバイス ID"
    ),
    chinese="设备 ID | 計算機 ID | 计算机 ID | 裝置 ID | 設備 ID | 设备标识符 | 裝置識別碼",
    korean="디바이스 ID | 장치 ID | 컴퓨터 ID",
    german=(
        "Geräte-ID | Geraete-ID | Geräte-Id. | Gerätekennung | Geraetekennung | Gerät-ID | ID des Geräts"
        "| Computer-ID | Rechner-ID | Maschinen-ID | Defender-Geräte-ID | Defender-Geraete-ID | MDE-Geräte-ID"
    ),
    french=(
        "ID de l'appareil | ID d'appareil | ID appareil | Identifiant de l'appareil | Identifiant d'appareil"
        "| Identifiant appareil | Identificateur de l'appareil | Identificateur d'appareil | ID de périphérique"
        "| ID du périphérique | ID de la machine | ID machine | Identifiant de la machine | Identifiant machine"
        "| ID de l'ordinateur | Identifiant de l'ordinateur | ID d'appareil Defender"
    ),
    spanish=(
        "Id. de dispositivo | Id. del dispositivo | ID de dispositivo | ID del dispositivo | ID dispositivo"
        "| Identificador de dispositivo | Identificador del dispositivo | Id. de máquina | ID de máquina"
        "| ID de la máquina | ID de equipo | ID del equipo | Identificador de equipo | Identificador del equipo"
    ),
    portuguese=(
        "ID do dispositivo | ID de dispositivo | Identificador do dispositivo | Identificador de dispositivo"
        "| ID do computador | ID da máquina"
    ),
    italian="ID del computer | ID computer | ID del dispositivo | Identificativo del dispositivo",
    dutch="Apparaat-ID | ID van apparaat | Computer-ID",
)

# Headers that mean a device ID in the API's own output and a running number almost everywhere else.
WEAK_ID_HEADERS: Final = _keys(english="id | ids")

NAME_HEADERS: Final = _keys(
    english=(
        "Device name | Computer name | ComputerDnsName | Host name | Machine name | DNS name | FQDN | Computer"
        "| Host | PC name | Workstation name | Server name | NetBIOS name | Endpoint name"
    ),
    japanese=(
        "デバイス名 | デバイス名称 | デバイスの名前 | コンピューター名 | コンピューター名称 | コンピューターの名前"
        "| PC 名 | PC 名称 | パソコン名 | パソコン名称 | 機器名 | 機器名称 | 端末名 | 端末名称 | マシン名"
        "| マシン名称 | ホスト名 | PC ホスト名 | 端末ホスト名 | クライアント名 | クライアント PC 名 | サーバー名"
        "| サーバー名称 | ノード名 | NetBIOS 名 | DNS 名"
    ),
    chinese=(
        "设备名称 | 设备名 | 計算機名稱 | 裝置名稱 | 計算机名 | 计算机名 | 计算机名称 | 电脑名 | 电脑名称"
        "| 電腦名稱 | 主机名 | 主机名称 | 主機名稱"
    ),
    korean=(
        "디바이스 이름 | 디바이스명 | 장치 이름 | 장치명 | 컴퓨터 이름 | 컴퓨터명 | 호스트 이름 | 호스트명"
        "| PC 이름 | PC명"
    ),
    german=(
        "Gerätename | Geraetename | Name des Geräts | Computername | Name des Computers | Rechnername"
        "| Name des Rechners | Hostname | PC-Name | Maschinenname | Servername | DNS-Name | NetBIOS-Name"
    ),
    french=(
        "Nom de l'appareil | Nom d'appareil | Nom appareil | Nom de l'ordinateur | Nom d'ordinateur"
        "| Nom ordinateur | Nom du périphérique | Nom de périphérique | Nom d'hôte | Nom de l'hôte | Nom hôte"
        "| Nom de la machine | Nom de machine | Nom machine | Nom du PC | Nom PC "
        "| Nom du poste de travail | Nom du serveur | Nom DNS"
    ),
    spanish=(
        "Nombre de dispositivo | Nombre del dispositivo | Nombre dispositivo | Nombre de equipo | Nombre del equipo"
        "| Nombre equipo | Nombre de host | Nombre del host | Nombre de la máquina | Nombre de máquina"
        "| Nombre máquina | Nombre del PC | Nombre PC | Nombre del ordenador | Nombre de ordenador"
        "| Nombre de la computadora | Nombre de computadora | Nombre del computador | Nombre del servidor"
        "| Nombre de servidor | Nombre DNS"
    ),
    portuguese=(
        "Nome do dispositivo | Nome de dispositivo | Nome dispositivo | Nome do computador | Nome computador"
        "| Nome do equipamento | Nome da máquina | Nome de máquina | Nome máquina | Nome do host | Nome de host"
        "| Nome do PC | Nome PC | Nome da estação | Nome do servidor | Nome DNS"
    ),
    italian=(
        "Nome dispositivo | Nome del dispositivo | Nome del computer | Nome computer | Nome host | Nome PC"
        "| Nome macchina | Nome della macchina"
    ),
    dutch="Apparaatnaam | Naam van apparaat | Computernaam | Naam van computer | Hostnaam | PC-naam | Machinenaam",
)

# Words for a computer itself: such a column may also hold its kind, so that a header of NAME_HEADERS comes first.
WEAK_NAME_HEADERS: Final = _keys(
    english="name | device",
    japanese="デバイス | コンピューター | ホスト",
    german="Gerät | Geraet | Rechner",
    french="appareil | ordinateur | hôte",
    spanish="dispositivo | ordenador | computadora",
    portuguese="computador",
)

# The first words of a row of totals, alone or before a number.
TOTALS: Final = _keys(
    english="total | totals | sum | grand total | subtotal | count | total devices | number of devices",
    japanese="合計 | 総計 | 小計 | 計 | 総数 | 合計台数 | 総台数 | 台数 | 台数合計 | 件数 | 合計件数",
    chinese="合计 | 合計 | 总计 | 總計 | 总数 | 總數 | 小计",
    korean="합계 | 총계 | 소계 | 총",
    german="Summe | Gesamt | Gesamtsumme | Insgesamt | Anzahl | Anzahl Geräte | Gesamtanzahl | Zwischensumme",
    french="total général | somme | sous-total | nombre | nombre d'appareils",
    spanish="suma | total general | subtotal | total de equipos | total de dispositivos | número de equipos",
    portuguese="soma | total geral | total de dispositivos | total de computadores | total de equipamentos",
    italian="totale | somma | totale generale",
    dutch="totaal | som | aantal",
)

# A SHA-1 also has 40 hexadecimal digits: these columns are never recognised as IDs by their content.
HASH_HEADERS: Final = _keys(
    english=(
        "sha1 | sha1 hash | hash | file hash | InitiatingProcessSHA1 | thumbprint | certificate thumbprint"
        "| fingerprint | commit | machine action id | action id"
    ),
    german="Fingerabdruck",
)
